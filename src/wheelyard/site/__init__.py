"""
The same index as plain files: a folder, a bucket, or a branch that a Git host shows as pages.

Rule 1: pages are made by the renderers that the server uses, so the bytes are the same.
Rule 2: files first, pages next, the list after them, removals last: at no moment does a page list what is not there.
"""
