// One of the official Node SDKs against bm: `node sdks.mjs NAME ORIGIN KEY`; prints what sdks.py prints.
import fs from 'node:fs';

const [, , NAME, ORIGIN, KEY] = process.argv;
const WORD = 'BM-PONG-42';
const RESULT = 'ran-42';
const PICTURE = fs.readFileSync('picture.png').toString('base64');
const PARAMETERS = { type: 'object', properties: { words: { type: 'string' } }, required: ['words'] };
const SCHEMA = {
  type: 'object',
  properties: { answer: { type: 'string', enum: [WORD] } },
  required: ['answer'],
  additionalProperties: false,
};

function expect(holds, what) {
  if (!holds) throw new Error(`unexpected: ${JSON.stringify(what)}`);
}

async function anthropic() {
  const client = new (await import('@anthropic-ai/sdk')).default();
  const common = { model: 'claude-sonnet-4-5', max_tokens: 2000 };
  const textOf = (answer) => answer.content.map((block) => block.text ?? '').join('');
  const say = async (content, more = {}) =>
    textOf(await client.messages.create({ ...common, messages: [{ role: 'user', content }], ...more }));
  return {
    text: () => say(WORD),
    stream: async () => {
      const answer = await client.messages.stream({ ...common, messages: [{ role: 'user', content: WORD }] }).finalMessage();
      expect(answer.stop_reason === 'end_turn', answer);
      return textOf(answer);
    },
    tools: async () => {
      const tools = [{ name: 'run', description: 'Run it', input_schema: PARAMETERS }];
      const thinking = { type: 'enabled', budget_tokens: 1024 };
      const messages = [{ role: 'user', content: 'run it' }];
      for (let turn = 0; turn < 3; turn++) {
        const answer = await client.messages.stream({ ...common, tools, thinking, messages }).finalMessage();
        const calls = answer.content.filter((block) => block.type === 'tool_use');
        if (!calls.length) return textOf(answer);
        const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: RESULT }));
        messages.push({ role: 'assistant', content: answer.content }, { role: 'user', content: results });
      }
      return '';
    },
    image: () =>
      say([
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PICTURE } },
        { type: 'text', text: WORD },
      ]),
    structured: () => say('answer', { output_config: { format: { type: 'json_schema', schema: SCHEMA } } }),
  };
}

function chat(client, model) {
  const say = async (content, more = {}) => {
    const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content }];
    return (await client.chat.completions.create({ model, messages, ...more })).choices[0].message.content;
  };
  return {
    text: () => say(WORD),
    stream: async () => {
      const said = { model, stream: true, messages: [{ role: 'user', content: WORD }] };
      const choices = [];
      for await (const chunk of await client.chat.completions.create(said)) choices.push(...chunk.choices);
      expect(['stop', 'eos'].includes(choices.at(-1).finish_reason), choices.at(-1));
      return choices.map((choice) => choice.delta.content ?? '').join('');
    },
    tools: async () => {
      const tools = [{ type: 'function', function: { name: 'run', description: 'Run it', parameters: PARAMETERS } }];
      const messages = [{ role: 'user', content: 'run it' }];
      for (let turn = 0; turn < 3; turn++) {
        const { message } = (await client.chat.completions.create({ model, tools, messages })).choices[0];
        if (!message.tool_calls?.length) return message.content;
        const results = message.tool_calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: RESULT }));
        messages.push({ role: 'assistant', content: message.content, tool_calls: message.tool_calls }, ...results);
      }
      return '';
    },
    image: () =>
      say([
        { type: 'text', text: WORD },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${PICTURE}` } },
      ]),
    structured: () =>
      say('answer', {
        response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: SCHEMA, strict: true } },
      }),
  };
}

async function responses() {
  const client = new (await import('openai')).default();
  const model = 'gpt-5';
  const say = async (content, more = {}) =>
    (await client.responses.create({ model, input: [{ role: 'user', content }], ...more })).output_text;
  return {
    text: () => say(WORD),
    stream: async () => (await client.responses.stream({ model, input: WORD }).finalResponse()).output_text,
    tools: async () => {
      const tool = { type: 'function', name: 'run', description: 'Run it', parameters: PARAMETERS, strict: false };
      const input = [{ role: 'user', content: 'run it' }];
      for (let turn = 0; turn < 3; turn++) {
        const said = { model, input, tools: [tool], include: ['reasoning.encrypted_content'], store: false };
        const answer = await client.responses.create(said);
        const calls = answer.output.filter((item) => item.type === 'function_call');
        if (!calls.length) return answer.output_text;
        const results = calls.map((call) => ({ type: 'function_call_output', call_id: call.call_id, output: RESULT }));
        input.push(...answer.output, ...results);
      }
      return '';
    },
    image: () =>
      say([
        { type: 'input_text', text: WORD },
        { type: 'input_image', image_url: `data:image/png;base64,${PICTURE}`, detail: 'low' },
      ]),
    structured: () =>
      say('answer', { text: { format: { type: 'json_schema', name: 'answer', schema: SCHEMA, strict: true } } }),
  };
}

async function genai() {
  const { GoogleGenAI } = await import('@google/genai');
  const client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: ORIGIN } });
  const model = 'gemini-2.5-flash';
  const say = async (contents, config) => (await client.models.generateContent({ model, contents, config })).text;
  return {
    text: () => say(WORD),
    stream: async () => {
      const chunks = [];
      for await (const chunk of await client.models.generateContentStream({ model, contents: WORD })) chunks.push(chunk);
      expect(chunks.at(-1).candidates[0].finishReason === 'STOP', chunks.at(-1));
      return chunks.map((chunk) => chunk.text ?? '').join('');
    },
    tools: async () => {
      const declared = { name: 'run', description: 'Run it', parametersJsonSchema: PARAMETERS };
      const config = { tools: [{ functionDeclarations: [declared] }] };
      const contents = [{ role: 'user', parts: [{ text: 'run it' }] }];
      for (let turn = 0; turn < 3; turn++) {
        const answer = await client.models.generateContent({ model, contents, config });
        const calls = answer.functionCalls ?? [];
        if (!calls.length) return answer.text;
        const parts = calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: RESULT } } }));
        contents.push(answer.candidates[0].content, { role: 'user', parts });
      }
      return '';
    },
    image: () =>
      say([
        { role: 'user', parts: [{ inlineData: { mimeType: 'image/png', data: PICTURE } }, { text: WORD }] },
      ]),
    structured: () => say('answer', { responseMimeType: 'application/json', responseJsonSchema: SCHEMA }),
  };
}

const SDKS = {
  anthropic,
  responses,
  genai,
  openai: async () => chat(new (await import('openai')).default(), 'gpt-4o'),
  groq: async () => chat(new (await import('groq-sdk')).default(), 'meta-llama/llama-4-maverick-17b-128e-instruct'),
  together: async () => {
    const { default: Together } = await import('together-ai');
    return chat(new Together({ baseURL: `${ORIGIN}/v1`, apiKey: KEY }), 'meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8');
  },
};

const sdk = await SDKS[NAME]();
for (const feature of ['tools', 'text', 'stream', 'image', 'structured']) {
  let line;
  try {
    line = { feature, said: await sdk[feature](), error: '' };
  } catch (error) {
    line = { feature, said: '', error: `${error.name}: ${error.message}`.slice(0, 400) };
  }
  console.log(JSON.stringify(line));
}
