"""Whether a deployment can be reached and keeps its word: one look, a watch with a memory, and a table of outages."""
