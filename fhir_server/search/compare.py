"""The one truth table for prefixes (R4 search.html#prefix, #date, #number, #quantity).

Both sides are half-open ranges. The parser gives the range of the search value `[lo, hi)` as its precision leaves it open;
for `ap` it has already widened that range (10 % of the value, or of the gap between now and the date), so that here `ap`
is plain overlap. Every interpreter expresses exactly the rows below; none adds a rule of its own.

Ranges (dates, Periods, Timings), stored `[s_lo, s_hi)`, as the right-hand column of the R4 table says it:

====== =================================================== ==========================================
prefix R4                                                  row
====== =================================================== ==========================================
eq     search range fully contains the stored range        lo <= s_lo and s_hi <= hi
ne     it does not                                         s_lo < lo or hi < s_hi
gt     the range above intersects the stored range         hi < s_hi
lt     the range below intersects the stored range         s_lo < lo
ge     gt, or eq                                           hi < s_hi or (lo <= s_lo and s_hi <= hi)
le     lt, or eq                                           s_lo < lo or (lo <= s_lo and s_hi <= hi)
sa     the range above contains the stored range           hi <= s_lo
eb     the range below contains the stored range           s_hi <= lo
ap     the ranges overlap                                  s_lo < hi and lo < s_hi
====== =================================================== ==========================================

Numbers and quantities are stored as points. R4 #number: `gt lt ge le sa eb` ignore the implicit precision of the search
value; `eq`, `ne` and (widened) `ap` use it:

====== =====================
prefix row
====== =====================
eq ap  lo <= stored < hi
ne     stored < lo or hi <= stored
gt sa  stored > value
lt eb  stored < value
ge     stored >= value
le     stored <= value
====== =====================

A parameter with several stored values holds when any of them does; one without values never holds, `ne` included.
"""

from typing import assert_never

from fhir_server.search.query import Prefix

INSTANT_US = 1
"""An instant is a point, so narrow that nothing lies within it (R4 #date): as a stored range `[t, t + INSTANT_US)` in microseconds."""


def compare(prefix: Prefix, stored_lo: int, stored_hi: int, lo: int, hi: int) -> bool:
    """Tell whether a stored range stands in the relation `prefix` to the range of the search value."""
    match prefix:
        case Prefix.EQ:
            return lo <= stored_lo and stored_hi <= hi
        case Prefix.NE:
            return stored_lo < lo or hi < stored_hi
        case Prefix.GT:
            return hi < stored_hi
        case Prefix.LT:
            return stored_lo < lo
        case Prefix.GE:
            return hi < stored_hi or (lo <= stored_lo and stored_hi <= hi)
        case Prefix.LE:
            return stored_lo < lo or (lo <= stored_lo and stored_hi <= hi)
        case Prefix.SA:
            return hi <= stored_lo
        case Prefix.EB:
            return stored_hi <= lo
        case Prefix.AP:
            return stored_lo < hi and lo < stored_hi
        case _:
            assert_never(prefix)


def compare_number(prefix: Prefix, stored: float, value: float, lo: float, hi: float) -> bool:
    """Tell whether a stored number stands in the relation `prefix` to `value` with implicit precision `[lo, hi)`."""
    match prefix:
        case Prefix.EQ | Prefix.AP:
            return lo <= stored < hi
        case Prefix.NE:
            return stored < lo or hi <= stored
        case Prefix.GT | Prefix.SA:
            return stored > value
        case Prefix.LT | Prefix.EB:
            return stored < value
        case Prefix.GE:
            return stored >= value
        case Prefix.LE:
            return stored <= value
        case _:
            assert_never(prefix)
