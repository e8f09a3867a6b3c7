"""The HTTP API and the web pages: outside the way of the data, they read the store and pass on what a person wants."""
