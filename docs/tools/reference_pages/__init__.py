"""The pages of docs/reference/ and docs/gates/: one module per subject, each a pure function from the code to lines."""
