"""The rules of the referral, as pure functions: what was, what becomes of it, who does it → effects, or a refusal.

`rules` is where a change comes in, as a `case`; `task_lifecycle` and `request_lifecycle` are the state tables, `keys` names
every rule, `effects` what follows. `consent*` and `permission` let a referral leave, `routing` says to whom, `suggestion*`
which services fit, `screening_*` what the answers of a questionnaire give rise to, `topics` and `alone` what can be
subscribed to and filtered by.
"""
