"""`python -m mappers`: serve, check, poll, deliver, import, report, replay, expire."""

from mappers.runtime.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
