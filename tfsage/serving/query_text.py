"""What a text query may be, checked before anything is loaded or sent, and the one form that equal queries have."""

import unicodedata

from tfsage.errors import TfsageError

MAX_QUERY_CHARACTERS = 2000
"""Far above any real query; the towers read only the beginning of longer texts or grow slow on them."""


def check_query(text: str) -> None:
    """Checks that `text` can be searched for.

    Raises:
        TfsageError: it is empty, blank, longer than `MAX_QUERY_CHARACTERS`, or was not UTF-8 when it was typed.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TfsageError(
            f"the query is not UTF-8 text: byte 0x{ord(text[error.start]) & 0xFF:02x} at character {error.start}; "
            f"set your terminal or script to UTF-8"
        ) from None
    if not text.strip():
        raise TfsageError("the query is empty; give the words to search for")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise TfsageError(
            f"the query has {len(text):,} characters, at most {MAX_QUERY_CHARACTERS:,} are allowed; shorten it"
        )


def normalize_query(text: str) -> str:
    """The query in Unicode's composed form (NFC), its words parted by single spaces.

    Nothing more, because the vector of this form is kept for all texts that share it: a tower may tell capital letters
    apart.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())
