"""Reading releases of large code systems from files, in bounded memory (R4 codesystem.html).

`files` opens what a path holds (a file, a folder, a zip); `rf2`, `claml`, `table` and `code_system` read one format each
into a `Gathering`, which keeps texts in a temporary file; `hierarchy` gives the concepts their numbers; `numbered` yields
them in that order, ready for a store. `read` chooses the format. What cannot be read is a ReleaseError that names the
file and the line.
"""
