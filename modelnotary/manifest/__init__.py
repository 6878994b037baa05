"""The identity of a model or a data set: the digest of its full content.

A file is its bytes, and its digest is their SHA-256; its name does not count. A folder is the set of its files, and its
digest is the SHA-256 of its manifest: one line for each file with the file's digest and path, sorted by the path's
bytes, so names and places count (see `format`). Empty folders, permissions, owners, times and hard links do not count.
Whatever has no content of its own is refused: what a symbolic link stands for is not in the folder, so a digest could
not speak for it. docs/manifests.md has the exact bytes and a recipe that needs nothing of this program.
"""
