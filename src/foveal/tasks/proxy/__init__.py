"""The proxy that guides codecs: one small network close to many tasks, what it learns from, and what it minimises."""
