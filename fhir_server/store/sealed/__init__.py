"""Encryption at rest around any store: what names a person by a national number never lies there in clear."""

from fhir_server.store.sealed.keyring import Keyring, MasterKeys
from fhir_server.store.sealed.numbers import NationalNumbers
from fhir_server.store.sealed.store import SealedStore

__all__ = ["Keyring", "MasterKeys", "NationalNumbers", "SealedStore"]
