-- Budgets and rates that several nodes share. One call counts what a node has used and holds, then decides what it asks
-- for, and says how far everything named is used. Repeating a call changes nothing: a node names sums, not differences.
--
-- KEYS: for each budget a hash of what is spent and a hash of what is held, then for each rate a hash.
-- ARGV[1]: `Sent` of limits.py as JSON. Numbers go back as text, because Redis would cut them to integers.

local FORMAT = 1
local DAY = 86400
local sent = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6

local function text(number)
  return string.format('%.17g', number)
end

local function readable(format)
  return not format or tonumber(format) <= FORMAT
end

local function read_budget(budget)
  local row = redis.call('HMGET', budget.spent_key, 'format', 'spent', budget.id)
  if not readable(row[1]) then return false end
  -- The store may have lost what the node knows; of the node's own sum it may not know all.
  budget.stored = tonumber(row[2] or 0)
  budget.known = math.max(budget.stored, budget.known)
  budget.more = math.max(0, budget.settled - tonumber(row[3] or budget.counted))
  budget.spent = budget.known + budget.more
  budget.others = 0
  local held = redis.call('HGETALL', budget.held_key)
  for i = 1, #held, 2 do
    local amount, ends = string.match(held[i + 1], '^(%S+) (%S+)$')
    if tonumber(ends) <= now then
      redis.call('HDEL', budget.held_key, held[i])
    elseif held[i] ~= budget.id then
      budget.others = budget.others + tonumber(amount)
    end
  end
  return true
end

local function write_budget(budget)
  local ends = math.ceil(budget.ends) + DAY
  if budget.spent ~= budget.stored then
    redis.call('HSET', budget.spent_key, 'format', FORMAT, 'spent', text(budget.spent), budget.id, text(budget.settled))
    redis.call('EXPIREAT', budget.spent_key, ends)
  end
  if budget.held > 0 then
    redis.call('HSET', budget.held_key, budget.id, text(budget.held) .. ' ' .. text(now + sent.lapse))
    redis.call('EXPIREAT', budget.held_key, ends)
  else
    redis.call('HDEL', budget.held_key, budget.id)
  end
end

local function read_rate(rate)
  local row = redis.call('HMGET', rate.key, 'format', 'limit', 'level', 'at', sent.node)
  if not readable(row[1]) then return false end
  rate.level = rate.limit
  -- A new limit begins with a full bucket.
  if row[2] and tonumber(row[2]) == rate.limit then
    local filled = math.max(0, now - tonumber(row[4])) * rate.limit / 60
    rate.level = math.min(rate.limit, tonumber(row[3]) + filled)
  end
  rate.level = math.min(rate.limit, rate.level - (rate.used - tonumber(row[5] or rate.counted)))
  return true
end

local function write_rate(rate)
  redis.call('HSET', rate.key, 'format', FORMAT, 'limit', text(rate.limit), 'level', text(rate.level), 'at', text(now),
    sent.node, text(rate.used))
  redis.call('EXPIRE', rate.key, math.ceil((rate.limit - rate.level) * 60 / rate.limit) + DAY)
end

local function wait_for(ask)
  local wait = 0
  for _, taken in ipairs(ask.rates) do
    local rate = sent.rates[taken[1]]
    local lacking = math.min(taken[2], rate.limit) - rate.level
    -- What rounding leaves open is no reason to wait.
    if lacking > 1e-6 then wait = math.max(wait, lacking * 60 / rate.limit) end
  end
  return wait
end

local function is_taken(ask)
  if ask.regardless then return false end
  for _, wanted in ipairs(ask.budgets) do
    local budget = sent.budgets[wanted[1]]
    if budget.spent + budget.others + budget.held >= budget.limit then return true end
  end
  return false
end

-- The seconds to wait for a rate, 0 if all is taken, -1 if a budget forbids it.
local function decide(ask)
  local wait = wait_for(ask)
  if wait > 0 then return wait end
  for _, taken in ipairs(ask.rates) do
    local rate = sent.rates[taken[1]]
    rate.level = math.min(rate.limit, rate.level - taken[2])
  end
  if is_taken(ask) then return -1 end
  for _, wanted in ipairs(ask.budgets) do
    local budget = sent.budgets[wanted[1]]
    budget.held = budget.held + wanted[2]
  end
  return 0
end

for i, budget in ipairs(sent.budgets) do
  budget.spent_key, budget.held_key = KEYS[2 * i - 1], KEYS[2 * i]
  if not read_budget(budget) then return redis.error_reply('NEWER ' .. budget.spent_key) end
end
for i, rate in ipairs(sent.rates) do
  rate.key = KEYS[2 * #sent.budgets + i]
  if not read_rate(rate) then return redis.error_reply('NEWER ' .. rate.key) end
end

local answers, spent, others = {}, {}, {}
for i, ask in ipairs(sent.asks) do answers[i] = text(decide(ask)) end
for i, budget in ipairs(sent.budgets) do
  write_budget(budget)
  spent[i], others[i] = text(budget.spent), text(budget.others)
end
for _, rate in ipairs(sent.rates) do write_rate(rate) end
return {answers, spent, others}
