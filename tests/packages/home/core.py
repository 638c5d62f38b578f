"""A Home Assistant core with nothing but MQTT and automations, asked by lines of JSON.

Runs under the Python that Home Assistant is installed for, never imported by the tests:
``python core.py CONFIG_DIR BROKER_PORT``. A line on standard input is a question,
``{"ask": "states"}``; its answer is one line on standard output, ``{"answer": ...}`` or
``{"error": ...}``. End of input stops the core. No front end, no network but the broker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import yaml
from homeassistant import bootstrap, config_entries, loader
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import area_registry, device_registry, entity_registry
from homeassistant.setup import async_setup_component


def write_entry(folder: Path, port: int) -> None:
    """What clicking through MQTT's setup leaves in the configuration directory."""
    path = folder / ".storage" / "core.config_entries"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "entry_id": "mqtt_entry",
        "domain": "mqtt",
        "title": "mosquitto",
        "version": 1,
        "minor_version": 2,
        "data": {"broker": "127.0.0.1", "port": port, "protocol": "5", "discovery": True},
        "options": {},
        "source": "user",
        "unique_id": None,
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "disabled_by": None,
        "created_at": "2026-11-01T00:00:00+00:00",
        "modified_at": "2026-11-01T00:00:00+00:00",
        "discovery_keys": {},
        "subentries": [],
    }
    document = {"version": 1, "minor_version": 5, "key": "core.config_entries"}
    path.write_text(json.dumps({**document, "data": {"entries": [entry]}}))


class Core:
    """A running core and what was noted of it."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._notes: list[dict[str, Any]] = []
        hass.services.async_register("test", "note", self._note)

    def _note(self, call: ServiceCall) -> None:
        self._notes.append(dict(call.data))

    async def answer(self, question: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        method = getattr(self, f"ask_{question.pop('ask')}")
        return await method(**question)

    async def ask_states(self) -> dict[str, Any]:
        """Entity id to state, attributes and when it was last written (seconds since 1970)."""
        return {
            state.entity_id: {
                "state": state.state,
                "attributes": dict(state.attributes),
                "at_s": state.last_updated_timestamp,
            }
            for state in self._hass.states.async_all()
        }

    async def ask_entities(self) -> dict[str, Any]:
        """Entity id to what the registry has of it."""
        return {
            entry.entity_id: {
                "unique_id": entry.unique_id,
                "disabled_by": entry.disabled_by,
                "category": entry.entity_category,
                "name": entry.original_name,
                "icon": entry.original_icon,
                "device_id": entry.device_id,
            }
            for entry in entity_registry.async_get(self._hass).entities.values()
        }

    async def ask_devices(self) -> list[dict[str, Any]]:
        """The devices, each with its area's name and whom it goes through."""
        devices = device_registry.async_get(self._hass)
        areas = area_registry.async_get(self._hass)
        return [
            {
                "id": each.id,
                "name": each.name,
                "identifiers": sorted(name for _, name in each.identifiers),
                "via": each.via_device_id,
                "area": (area := areas.async_get_area(each.area_id or "")) and area.name,
                "configuration_url": each.configuration_url,
            }
            for each in devices.devices.values()
        ]

    async def ask_triggers(self, device_id: str) -> list[dict[str, Any]]:
        """What the automation editor offers for a device, of MQTT's own."""
        from homeassistant.components.mqtt import device_trigger  # noqa: PLC0415 - once set up

        return list(await device_trigger.async_get_triggers(self._hass, device_id))

    async def ask_call(self, domain: str, service: str, **data: Any) -> None:  # noqa: ANN401
        """Presses a button, turns a switch."""
        await self._hass.services.async_call(domain, service, data, blocking=True)

    async def ask_automate(self, automations: list[dict[str, Any]]) -> None:
        """Sets up automations; blueprints are read from CONFIG_DIR/blueprints."""
        path = Path(self._hass.config.config_dir) / "configuration.yaml"
        path.write_text(yaml.safe_dump({"automation": automations}))
        if "automation" in self._hass.config.components:
            await self.ask_call("automation", "reload")
        else:
            config = {"automation": automations}
            assert await async_setup_component(self._hass, "automation", config)
        await self._hass.async_block_till_done()

    async def ask_notes(self) -> list[dict[str, Any]]:
        """What automations noted since the last question."""
        notes, self._notes = self._notes, []
        return notes

    async def ask_set_state(self, entity_id: str, state: str) -> None:
        """An entity that is not MQTT's: a zone, a helper."""
        self._hass.states.async_set(entity_id, state)


async def start(folder: Path) -> HomeAssistant:
    """A core as ``hass`` makes it, with the fewest integrations that MQTT can do with."""
    hass = HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await loader.async_get_custom_components(hass)
    await bootstrap.async_load_base_functionality(hass)
    assert await async_setup_component(hass, "homeassistant", {})
    hass.config.components |= {"http", "file_upload"}  # asked for, and not needed
    assert await async_setup_component(hass, "mqtt", {})
    await hass.async_start()
    return hass


async def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    write_entry(folder, port)
    (folder / "configuration.yaml").touch()
    hass = await start(folder)
    core = Core(hass)
    loop = asyncio.get_running_loop()
    print(json.dumps({"answer": "ready"}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            said = {"answer": await core.answer(json.loads(line))}
        except Exception as error:  # noqa: BLE001 - told to the test
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said, default=str), flush=True)
    await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main())
