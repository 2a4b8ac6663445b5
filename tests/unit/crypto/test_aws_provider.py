"""What KMS may answer that is no good, and two processes at once. On moto, in this process."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_server.crypto.errors import NoRootKeyError, ProviderError
from fhir_server.crypto.providers.places import keeper
from fhir_server.crypto.providers.port import MOST_WRAPPED
from fhir_server.kernel.clock import SystemClock

moto = pytest.importorskip("moto", reason="moto is not installed")
pytestmark = pytest.mark.anyio

ARN = "arn:aws:kms:eu-west-3:123456789012:alias/clinic"


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with moto.mock_aws():
        yield keeper(ARN, Path(), None)


@pytest.mark.parametrize("arn", ["arn:aws:kms:eu-west-3:123456789012:key/1", "arn:aws:s3:::alias/clinic", f"{ARN} "])
def test_a_name_that_is_no_alias_is_refused(arn: str) -> None:
    with pytest.raises(ProviderError, match="A key in KMS is named as"):
        keeper(arn, Path(), None)


async def test_a_key_that_nobody_made_is_told_apart(provider: Any) -> None:
    for call in (provider.wrap(b"k"), provider.describe()):
        with pytest.raises(NoRootKeyError):
            await call


async def test_the_date_of_the_end_is_the_services_own_and_the_same_whenever_it_is_asked_for(provider: Any) -> None:
    await provider.new_version()
    await provider.new_version()
    week = SystemClock().now() + timedelta(days=7)

    note = await provider.destroy_up_to(1)

    assert note.effective is not None
    assert abs(note.effective - week) < timedelta(hours=1)
    assert (await provider.destroy_up_to(1)).effective == note.effective
    elsewhere: Any = keeper(ARN, Path(), None)
    assert (await elsewhere.describe()).oldest == 2, "another process sees what waits for its deletion"
    assert (await elsewhere.destroy_up_to(1)).effective == note.effective


async def test_who_comes_second_with_a_version_takes_the_others(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await provider.new_version()
    other: Any = keeper(ARN, Path(), None)
    with monkeypatch.context() as patch:
        patch.setattr(other, "_versions", lambda _: [1])
        assert await provider.new_version() == 2
        wrapped = await provider.wrap(b"k")
        assert await other.new_version() == 2

    assert await other.unwrap(wrapped) == b"k"


async def test_another_accounts_key_is_not_there(provider: Any) -> None:
    await provider.new_version()
    with pytest.raises(NoRootKeyError):
        await keeper(ARN.replace("1234", "4321"), Path(), None).describe()


async def test_an_alias_that_may_not_be_made_is_a_fault(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    class Kms:
        def create_key(self, **_: object) -> Any:
            return {"KeyMetadata": {"KeyId": "1"}}

        def create_alias(self, **_: object) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "secret words"}}, "CreateAlias")

        def schedule_key_deletion(self, **given: object) -> Any:
            gone.append(given["KeyId"])

    gone: list[object] = []
    monkeypatch.setattr(provider, "_versions", lambda _: [])
    monkeypatch.setattr(provider, "_client", Kms())
    with pytest.raises(ProviderError, match=r"The keeper of the root key refuses \(AccessDeniedException\)\.$"):
        await provider.new_version()
    assert gone == ["1"]


async def test_a_service_that_is_not_reached_is_said(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    def away(kms: object) -> Any:
        raise EndpointConnectionError(endpoint_url="https://kms.example")

    monkeypatch.setattr(provider, "_versions", away)
    with pytest.raises(ProviderError, match=r"cannot be reached, or is too slow \(EndpointConnectionError\)"):
        await provider.describe()


async def test_too_much_is_refused_before_it_leaves(provider: Any) -> None:
    with pytest.raises(ProviderError, match="too long"):
        await provider.wrap(b"k" * (MOST_WRAPPED + 1))


def test_a_keeper_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "fhir_server.crypto.providers.aws", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ProviderError, match="boto3"):
        keeper(ARN, Path(), None)
