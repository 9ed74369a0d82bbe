"""Small numbers for resource types and their search parameters, kept in the file and remembered in memory."""

from collections.abc import Callable
from typing import Any

Key = tuple[str, str, str]
"""Resource type, parameter, kind of row; a type itself is `(type, "", "")`."""

Execute = Callable[..., Any]
"""`sqlite3.Connection.execute` of the connection that asks."""

_FIND = "SELECT p FROM name WHERE type = ? AND param = ? AND kind = ?"


class Names:
    """The numbers that are committed, and therefore true for good: they are never changed or given back."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}
        self._types: dict[int, str] = {}

    def find(self, execute: Execute, key: Key) -> int | None:
        """Return the number of a name, None when nothing was ever stored under it."""
        number = self._numbers.get(key)
        if number is None and (row := execute(_FIND, key).fetchone()) is not None:
            number = row[0]
            self._numbers[key] = number
        return number

    def type_of(self, execute: Execute, number: int) -> str:
        """Return the resource type that has this number."""
        name = self._types.get(number)
        if name is None:
            name = execute("SELECT type FROM name WHERE p = ?", (number,)).fetchone()[0]
            self._types[number] = name
        return name

    def learn(self, numbers: dict[Key, int]) -> None:
        """Remember what has just been committed."""
        self._numbers.update(numbers)


class PendingNames(Names):
    """The names of one open transaction: what is new in it is forgotten unless it commits."""

    def __init__(self, known: Names) -> None:
        super().__init__()
        self._known = known
        self._fresh: dict[Key, int] = {}

    def find(self, execute: Execute, key: Key) -> int | None:
        """Return the number of a name, those made in this transaction included."""
        number = self._fresh.get(key)
        return self._known.find(execute, key) if number is None else number

    def type_of(self, execute: Execute, number: int) -> str:
        """Return the resource type that has this number; what is found here is not remembered."""
        return str(execute("SELECT type FROM name WHERE p = ?", (number,)).fetchone()[0])

    def make(self, execute: Execute, key: Key) -> int:
        """Return the number of a name, a new one when it has none."""
        number = self.find(execute, key)
        if number is None:
            number = int(execute("INSERT INTO name (type, param, kind) VALUES (?, ?, ?)", key).lastrowid)
            self._fresh[key] = number
        return number

    def mark(self) -> int:
        """Return a point to which `forget` can return."""
        return len(self._fresh)

    def forget(self, mark: int) -> None:
        """Drop the names that were made after a mark: their rows were rolled back."""
        for key in list(self._fresh)[mark:]:
            del self._fresh[key]

    def commit(self) -> None:
        """Hand the new names to everybody."""
        self._known.learn(self._fresh)
        self._fresh = {}
