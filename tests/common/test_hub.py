"""Hub ids: what cannot be fetched or saved is one line."""

import pytest

from dlscore.common import hub


@pytest.mark.parametrize(
    ("kind", "variable"), [("model", "set HF_HOME to"), ("dataset", "set HF_LEROBOT_HOME or HF_HOME to")]
)
def test_a_home_that_cannot_be_written_names_its_variable(monkeypatch, kind, variable):
    def refuse(repository):
        raise PermissionError(13, "Permission denied", "/full/hub")

    monkeypatch.setattr(hub, "_find_cached", lambda repository: None)
    monkeypatch.setattr(hub, "_fetch", refuse)
    with pytest.raises(hub.HubError, match=rf"cannot be saved in /full/hub \(Permission denied\); {variable}"):
        hub.find_snapshot(hub.Repository("someone/something", kind))
