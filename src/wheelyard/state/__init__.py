"""
The server's own books: what it holds that is not in storage.

Rule 1: losing all of it must cost logins, never packages; so a damaged database is set aside and made anew.
"""
