"""Gemini's generateContent: the wire of the Gemini API and of Vertex AI."""
