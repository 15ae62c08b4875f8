"""The team's shared escalation queue on Postgres: client, schema and administration.

Stands alone: standard library and psycopg only, so that whoever runs Postgres can install
and read it without the desktop application.

- `port` — the nouns and the `Queue` protocol that every implementation keeps.
- `errors` — what can go wrong, in words a technician can act on.
- `invitation` — the one token that lets one engineer's desktop in.
- `client` — the protocol over a real Postgres, with `connection`, `worker`, `listener`, `wire`
  and `authorities` behind it; `practice` — the same rules in memory.
- `poller` — keeps a desktop's picture of the queue fresh.
- `migrations/` — the schema and its versioned functions; `administration`, `doctor` and
  `__main__` are the `flowpilot-queue` command.
"""
