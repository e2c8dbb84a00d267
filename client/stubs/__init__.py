"""Generated from client/protos/ by scripts/generate-stubs."""
