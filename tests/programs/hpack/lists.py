#!/usr/bin/env python3
"""Prints the header lists as JSON, for generators in other languages."""

import json

from fields import limit, lists

print(json.dumps([{"limit": limit(n), "fields": b} for n, b in enumerate(lists())]))
