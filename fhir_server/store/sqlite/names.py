"""Small numbers for resource types and their search parameters, kept in the file and remembered in memory."""

from collections.abc import Callable
from typing import Any

from fhir_server.store.sqlite.estimates import Estimates

Key = tuple[str, str, str]
"""Resource type, parameter, kind of row; a type itself is `(type, "", "")`."""

Execute = Callable[..., Any]
"""`sqlite3.Connection.execute` of the connection that asks."""

_FIND = "SELECT p FROM name WHERE type = ? AND param = ? AND kind = ?"
_TYPE = "SELECT type FROM name WHERE p = ?"


class Names:
    """The numbers that are committed, and therefore true for good: they are never changed or given back."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[tuple[str, str], int]] = {}
        self._types: dict[int, str] = {}
        self._of_types: dict[str, int] = {}
        self.sizes = Estimates()

    def of_type(self, resource_type: str) -> dict[tuple[str, str], int]:
        """Return what is remembered of a type: (parameter, kind) to number. To be read only."""
        known = self._numbers.get(resource_type)
        return self._numbers.setdefault(resource_type, {}) if known is None else known

    def find(self, execute: Execute, key: Key) -> int | None:
        """Return the number of a name, None when nothing was ever stored under it."""
        known = self.of_type(key[0])
        number = known.get(key[1:])
        if number is None and (row := execute(_FIND, key).fetchone()) is not None:
            number = known[key[1:]] = row[0]
        return number

    def number_of(self, execute: Execute, resource_type: str) -> int | None:
        """Return the number of a resource type, None when none was ever stored."""
        number = self._of_types.get(resource_type)
        if number is None and (number := self.find(execute, (resource_type, "", ""))) is not None:
            self._of_types[resource_type] = number
        return number

    def type_of(self, execute: Execute, number: int) -> str:
        """Return the resource type that has this number."""
        name = self._types.get(number)
        if name is None:
            name = self._types[number] = execute(_TYPE, (number,)).fetchone()[0]
        return name

    def learn(self, numbers: dict[Key, int]) -> None:
        """Remember what has just been committed."""
        for (resource_type, param, kind), number in numbers.items():
            self.of_type(resource_type)[param, kind] = number


class PendingNames(Names):
    """The names of one open transaction: what is new in it is forgotten unless it commits."""

    def __init__(self, known: Names) -> None:
        super().__init__()
        self._known = known
        self.sizes = known.sizes
        self._fresh: dict[Key, int] = {}

    def of_type(self, resource_type: str) -> dict[tuple[str, str], int]:
        """Return what is committed and remembered of a type."""
        return self._known.of_type(resource_type)

    def find(self, execute: Execute, key: Key) -> int | None:
        """Return the number of a name, those made in this transaction included."""
        number = self._fresh.get(key)
        return self._known.find(execute, key) if number is None else number

    def number_of(self, execute: Execute, resource_type: str) -> int | None:
        """Return the number of a resource type; a number that may yet be given back is not remembered."""
        return self.find(execute, (resource_type, "", ""))

    def type_of(self, execute: Execute, number: int) -> str:
        """Return the resource type that has this number; a number that may yet be given back is not remembered."""
        return str(execute(_TYPE, (number,)).fetchone()[0])

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
