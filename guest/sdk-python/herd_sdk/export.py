"""Exports a guest as the interface `logic` of the contract.

Owns the decoding of batches, the tables in `wit/logic.wit`. Knows no protocol.
"""

from .context import Context
from .event import BadSetting, Failed, Input, Mark, Report, Response
from .guest import NEWLINE

_MARKS = tuple(Mark)


def export(guest_class):
    """Returns the class that componentize-py looks for under the name `Logic`. None outside a component: the bindings exist only there,
    and a guest remains a class that a unit test can call."""
    try:
        from componentize_py_types import Err
        from wit_world.exports import logic
        from wit_world.imports import effects, records, types
    except ModuleNotFoundError:
        return None

    def decision(context):
        return effects.Decision(bytes(context.output), context.words)

    # Not in an object: componentize-py makes one for each call.
    guest = None

    class Logic:
        def describe(self):
            return logic.Description(guest_class.name, guest_class.version, list(guest_class.commands))

        def configure(self, settings):
            nonlocal guest
            table = {setting.name: setting.value for setting in settings.table}
            try:
                guest = guest_class(settings.node, table)
            except BadSetting as bad:
                raise Err(types.BadSetting(bad.name, bad.problem)) from None

        def inputs(self, at, data, inputs):
            context = Context(at.now, at.random, records.get)
            start = 0
            for index in range(0, len(inputs), 2):
                end = start + inputs[index]
                progress = guest.input(Input(data[start:end], _MARKS[inputs[index + 1]]), context)
                start = end
                consumed, awaits = progress if type(progress) is tuple else (progress, 0)
                context.end_input(consumed, awaits, NEWLINE)
            return decision(context)

        def reports(self, at, data, reports):
            context, batch, start = Context(at.now, at.random, records.get), [], 0

            def part(length):
                nonlocal start
                start += length
                return data[start - length : start]

            for index in range(0, len(reports), 5):
                key, rank, record, origin, form = reports[index : index + 5]
                batch.append(Report(part(key), part(rank), part(record), part(origin), form))
            guest.reports(batch, context)
            return decision(context)

        def answer(self, at, token, otherwise, outcome):
            context = Context(at.now, at.random, records.get)
            if isinstance(outcome, logic.Outcome_Answered):
                result = Response(outcome.value.status, outcome.value.body)
            else:
                result = Failed(outcome.value.name.lower().replace("_", "-"))
            guest.answer(token, otherwise, result, context)
            return decision(context)

    return Logic
