"""The record of a run: its events, the ledger they are appended to, and what is folded from them."""
