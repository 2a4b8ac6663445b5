"""What is injected, and what has to be shown of it: lots and patients, insurers' conditions, evidence."""
