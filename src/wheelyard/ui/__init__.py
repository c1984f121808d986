"""
Pages for people: HTML that works without JavaScript, written from the same index that programs read.

Rule 1: functions here turn values into bytes; they know no request, no session and no settings.
Rule 2: every value reaches HTML through a template that escapes, or through `ui/sanitize.py`.
"""
