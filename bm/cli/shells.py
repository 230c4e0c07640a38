"""Completion in bash, zsh, fish and PowerShell: the script of each, and the answers to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

VARIABLE = "_BM_COMPLETE"
"""Names the shell that asks. Its line up to the cursor is in `_BM_LINE`; `_BM_BREAKS` are letters at which bash breaks
words."""

_BASH = r"""_bm() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(
        _BM_COMPLETE=bash _BM_LINE="${COMP_LINE:0:COMP_POINT}" _BM_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} = 1 && ${COMPREPLY[0]} = *[.:=] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _bm bm
"""

_ZSH = r"""#compdef bm
_bm() {
    local line program="${(Q)words[1]}" typed="${(j: :)words[1,CURRENT]}"
    local -a whole open
    for line in "${(@f)$(_BM_COMPLETE=zsh _BM_LINE=$typed $program 2>/dev/null)}"; do
        case "$line" in
            ("+"*) whole+=("${line#?}") ;;
            ("="*) open+=("${line#?}") ;;
        esac
    done
    if (( $#whole + $#open == 0 )); then _files; return; fi
    (( $#whole )) && _describe bm whole
    (( $#open )) && _describe bm open -S ''
    return 0
}
if [[ "$funcstack[1]" = _bm ]]; then
    _bm "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _bm bm
fi
"""

_FISH = r"""function __bm_complete
    set -l program (commandline -opc)[1]
    set -l found (_BM_COMPLETE=fish _BM_LINE=(commandline -cp | string collect) $program 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c bm -f -a '(__bm_complete)'
"""

_PWSH = r"""Register-ArgumentCompleter -Native -CommandName bm -ScriptBlock {
    param($word, $command, $position)
    $env:_BM_COMPLETE = 'pwsh'
    $env:_BM_LINE = $command.ToString().PadRight($position).Substring(0, $position)
    try {
        bm 2>$null | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', "$help ")
        }
    } finally {
        Remove-Item Env:_BM_COMPLETE, Env:_BM_LINE
    }
}
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "pwsh": _PWSH}
"""By shell, what makes it ask bm."""


def answer(environ: Mapping[str, str], make: Callable[[], dict[str, Any]]) -> int:
    """Print what the shell named by `_BM_COMPLETE` is offered. `make` makes the outline of bm if none is kept."""
    from bm.cli import outline
    from bm.cli.completion import offered

    outline.load(make)
    shell = environ[VARIABLE]
    if shell == "complete_bash":
        shell, environ = "bash", _by_words(environ)
    if shell not in SCRIPTS:
        return 0
    words, incomplete = split(environ.get("_BM_LINE", ""), escape="`" if shell == "pwsh" else "\\")
    before = _taken(incomplete, environ.get("_BM_BREAKS", "")) if shell == "bash" else 0
    lines = [_written(shell, value[before:], help_) for value, help_ in offered(words[1:], incomplete)]
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode())
    return 0


def _by_words(environ: Mapping[str, str]) -> dict[str, str]:
    """The line up to the cursor, from its words and the place of the last, as Click and Typer ask for bash."""
    words, last = split(environ.get("COMP_WORDS", ""))
    place = int(environ.get("COMP_CWORD", "0"))
    typed = [*words, last][: place + 1]
    return {"_BM_LINE": " ".join(map(_escaped, typed)) + (" " if len(typed) <= place else "")}


def split(line: str, escape: str = "\\") -> tuple[list[str], str]:
    """The whole words of a line, without their quotes, and the word that ends at the cursor, which may be empty."""
    words: list[str] = []
    word, quote, begun, escaped = "", "", False, False
    for letter in line:
        if escaped:
            word, escaped = word + letter, False
        elif letter == escape and quote != "'":
            escaped = begun = True
        elif letter == quote:
            quote = ""
        elif quote:
            word += letter
        elif letter in "\"'":
            quote, begun = letter, True
        elif not letter.isspace():
            word, begun = word + letter, True
        elif begun:
            words.append(word)
            word, begun = "", False
    return words, word


def _taken(incomplete: str, breaks: str) -> int:
    """How much of a word bash takes for an earlier word: it breaks words at `:` and `=`, and replaces the last part."""
    return 1 + max(incomplete.rfind(letter) for letter in ":=" if letter in breaks) if set(":=") & set(breaks) else 0


def _written(shell: str, value: str, help_: str) -> str:
    """An offer as the script of the shell reads it."""
    match shell:
        case "bash":
            return _escaped(value)
        case "zsh":
            kind = "=" if value.endswith((".", ":", "=")) else "+"
            return kind + value.replace(":", "\\:") + (f":{help_}" if help_ else "")
        case "pwsh" if not value.replace("-", "").replace("_", "").isalnum():
            quoted = value.replace("'", "''")
            return f"'{quoted}'\t{help_}" if set(value) & set(" '\"`$(){}[];,|&@#") else f"{value}\t{help_}"
        case _:
            return f"{value}\t{help_}" if help_ else value


def _escaped(value: str) -> str:
    """A value with a backslash before what bash would not take as a letter."""
    return "".join(letter if letter.isalnum() or letter in "-_.,:/@%+=~" else f"\\{letter}" for letter in value)
