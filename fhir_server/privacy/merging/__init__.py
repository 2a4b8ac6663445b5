"""Two records of one person made one, and made two again: `Patient/$merge` and `Patient/$unmerge`."""
