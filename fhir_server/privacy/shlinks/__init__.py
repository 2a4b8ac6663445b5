"""SMART Health Links: a patient hands somebody outside a copy that this server itself cannot read."""
