"""
An index made of the tags of Git repositories: each version tag becomes a release, built once and kept in a store.

`sources` says what there is to read, `program` runs git, `projects` reads names and versions without running code,
`sdists` makes the archive, `hosts` asks hosts for lists of repositories and for wheels, `refresh` does it all in order,
and `tagged` is the index that clients read.
"""
