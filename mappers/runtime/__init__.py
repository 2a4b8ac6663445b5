"""Around the pure mappers: receive, verify, deduplicate, map, post, retry, dead-letter, replay, report."""
