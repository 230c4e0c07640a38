"""Google's credentials as the simulator knows them: OAuth clients, sign-ins, key files of service accounts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bm.accounts.account import Account, OAuthClient
from bm.accounts.sign_in import SignIn, new_sign_in
from bm.simulator import Simulator

ROBOT = "robot@project-one.iam.gserviceaccount.com"
CLIENT_SECRET = "planted-client-secret-0123"


def oauth_client(sim: Simulator) -> OAuthClient:
    """A client whose pages are the simulator's."""
    return OAuthClient(
        id="client-one.apps.example",
        secret=CLIENT_SECRET,
        auth_uri=f"{sim.url}/oauth/consent",
        token_uri=f"{sim.url}/oauth/token",
    )


def client_file(path: Path, sim: Simulator) -> Path:
    """That client as Google's console hands it out."""
    client = oauth_client(sim)
    uris = {"auth_uri": client.auth_uri, "token_uri": client.token_uri}
    path.write_text(json.dumps({"installed": {"client_id": client.id, "client_secret": client.secret, **uris}}))
    return path


def refresh_token(sim: Simulator) -> str:
    """What a sign-in gives."""
    sign_in = new_sign_in(oauth_client(sim), "", 1)
    form = sign_in.form | {"client_secret": CLIENT_SECRET, "code": visited(sign_in)["code"]}
    answer = httpx.post(f"{sim.url}/oauth/token", data=form, trust_env=False)
    return str(answer.json()["refresh_token"])


def visited(sign_in: SignIn) -> dict[str, str]:
    """What the page of consent sends the browser back with."""
    answer = httpx.get(sign_in.address, trust_env=False)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def person(sim: Simulator, name: str = "me", *, project: str = "project-one", location: str = "") -> Account:
    """An account that has signed in."""
    return Account(
        name=name,
        kind="google_oauth",
        key=refresh_token(sim),
        client=oauth_client(sim),
        project=project,
        location=location,
    )


def robot(path: Path, sim: Simulator, *, location: str = "global") -> Account:
    """The account of a service account, with its key file at `path`."""
    key_file(path, sim)
    return Account(name="robot", kind="service_account", key=f"file:{path}", project="project-one", location=location)


def key_file(path: Path, sim: Simulator) -> Path:
    """The key file of a service account."""
    uri = f"{sim.url}/oauth/token"
    document = {
        "type": "service_account",
        "project_id": "project-one",
        "client_email": ROBOT,
        "private_key_id": "one",
        "private_key": key_pair()[0],
        "token_uri": uri,
    }
    path.write_text(json.dumps(document, indent=2))
    return path


@cache
def key_pair() -> tuple[str, str]:
    """A private and a public RSA key (PEM). 2048 bits, the least that is taken."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public
