"""The rules of the referral, as pure functions."""
