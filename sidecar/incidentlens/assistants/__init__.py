"""For assistants: an MCP server with tools that read, under a project's token.

It is a client of the HTTP API and nothing else, so that what a token may read is decided in one place. What goes
through it to a model is masked and bounded (`shaping`), and no tool changes anything.
"""
