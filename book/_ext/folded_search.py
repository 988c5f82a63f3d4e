"""A search that finds words with and without their accents: "atòmic" and "atomic", "il·lustració" and "illustracio".

Sphinx stems words by the rules of one language, here English; before that, index and query alike lose their accents,
and the geminate l its dot.
"""

import re
import unicodedata

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

# The same in JavaScript. Queries in Catalan may have any of the dots that keyboards offer.
SCRIPT = r"""
const AccentedStemmer = Stemmer;
Stemmer = function () {
  const stemmer = new AccentedStemmer();
  this.stemWord = (word) => stemmer.stemWord(word.normalize("NFKD").replace(/[\p{Mark}·]/gu, ""));
};
var splitQuery = (query) => {
  const dots = document.documentElement.lang === "ca" ? /(?<=l)[·•‧.](?=l)/giu : /(?<=l)[·•‧](?=l)/giu;
  return query.replace(dots, "·").match(/(?:(?<=l)·(?=l)|[\p{Letter}\p{Number}_\p{Emoji_Presentation}])+/giu) || [];
};
"""


def fold(word: str) -> str:
    """A word without accents and without the dot of the geminate l."""
    letters = unicodedata.normalize("NFKD", word)
    return "".join(letter for letter in letters if not unicodedata.combining(letter) and letter != "·")


class FoldedSearch(SearchEnglish):
    """What Sphinx's index asks of a language."""

    lang = "folded"
    language_name = "Catalan and English without accents"
    js_stemmer_code = SearchEnglish.js_stemmer_code + SCRIPT
    _word_re = re.compile(r"(?:(?<=l)·(?=l)|\w)+", re.IGNORECASE)

    def stem(self, word: str) -> str:
        """A word as the index has it; one or two letters stay as they are, as they do in the script."""
        folded = fold(word.lower())
        return super().stem(folded) if len(folded) > 2 else folded


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_search_language(FoldedSearch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
