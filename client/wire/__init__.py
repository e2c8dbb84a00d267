"""The wire format of requests and responses, independent of the library that sends them."""
