"""Which environment variables bm lives on: a service does not have those of a shell."""

from __future__ import annotations

from collections.abc import Mapping

from bm.config.paths import Paths

_ENV = "env:"


def needed(paths: Paths, environ: Mapping[str, str]) -> list[str]:
    """The names of all that decide something: settings, keys that are named by `env:`, the proxy. Those that hold bm's
    own key, in a shell of `bm env`, are meant for tools.

    Raises:
        ConfigError: config.toml cannot be used.
        AccountError: accounts.toml cannot be used.
    """
    from bm.accounts.store import load as load_credentials
    from bm.config.load import load
    from bm.providers.catalog import KNOWN

    loaded = load(paths.config, environ, known=KNOWN)
    stored = load_credentials(paths.accounts)
    references = [account.key for account in stored.accounts if account.enabled]
    references += [account.client.secret for account in stored.accounts if account.client]
    references += [row.api_key for row in loaded.config.providers.values() if row.enabled]
    keys = {reference.removeprefix(_ENV) for reference in references if reference.startswith(_ENV)}
    settings = {variable for key, variable in loaded.sources.items() if not key.endswith(".api_key")}
    found = keys | settings | set(_proxies(environ))
    if any(account.kind == "adc" for account in stored.accounts):
        found |= {"GOOGLE_APPLICATION_CREDENTIALS"}.intersection(environ)
    return sorted(name for name in found if not stored.local_key or environ.get(name) != stored.local_key)


def _proxies(environ: Mapping[str, str]) -> list[str]:
    """The proxy's variables, in either case; exceptions from no proxy do not matter."""
    named = [name for name in environ if name.lower() in ("https_proxy", "all_proxy", "no_proxy")]
    return named if any(name.lower() != "no_proxy" for name in named) else []
