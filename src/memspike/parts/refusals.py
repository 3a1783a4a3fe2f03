"""Why parts do not go together: one class a reason, whose sentence says what would."""

from collections.abc import Callable
from typing import Any

from memspike.parts.errors import InputError


class Refusal(InputError):  # noqa: N818 (its subclasses are sentences, not errors of a program)
    """Parts that are right by themselves and cannot work together; a subclass a reason."""


class Volatile(Refusal):
    """A device that forgets when no voltage is applied cannot hold a weight."""

    def __init__(self, where: str, name: str, kind: str, wanted: str):
        super().__init__(f"{where} is '{name}', a {kind}, which forgets without a voltage; {wanted}.")


class FollowsVoltage(Refusal):
    """A device whose state follows a voltage does not know what a pulse is until its voltage and width are given."""

    def __init__(self, where: str, name: str, kind: str, wanted: str):
        super().__init__(
            f"{where} is '{name}', a {kind}, whose state follows a voltage; {wanted}, or give its pulses: "
            f"{where}=pulsed, {where}.device={name}."
        )


class NoGradientArray(Refusal):
    """Schemes of the Tiki-Taka family learn on arrays beside that of the weights."""

    def __init__(self, scheme: str, cell: str):
        super().__init__(
            f"The scheme '{scheme}' needs a gradient array beside the weight array: synapse is a {cell}; "
            "set synapse.type=stack."
        )


class OtherTiles(Refusal):
    """Each of these schemes has a role for so many arrays and no other number."""

    def __init__(self, cell: str, tiles: str):
        super().__init__(
            "This scheme learns on a gradient array beside the weight array and needs a Stack cell of "
            f"{tiles} tiles; this is a {cell}."
        )


class OneSided(Refusal):
    """A refresh moves a weight from two full devices to one; a device with a fixed reference has no other."""

    def __init__(self, cell: str):
        super().__init__(f"A {cell} has no second side to empty; refresh needs cells with two sides.")


class NoPair(Refusal):
    """The scheme chooses between the two devices of a weight."""

    def __init__(self, scheme: str, cell: str):
        super().__init__(f"{scheme} writes either device of a pair; a {cell} has none. A DifferentialPair is needed.")


class NoLawToFollow(Refusal):
    """A waveform between two membranes moves a device only by a law in voltage, and one weight only as one device."""

    def __init__(self, cell: str, device: str):
        super().__init__(
            "Plasticity by waveforms needs one memory device a weight, one whose law follows a voltage: Pulsed; "
            f"{cell} of {device} was given."
        )


class NoRecurrence(Refusal):
    """The eligibility traces of e-prop are those of layers of neurons, or of neurons that hear each other."""

    def __init__(self, network: str):
        super().__init__(
            f"e-prop needs a recurrent or feed-forward network of spiking neurons (lif, alif, mif); this network is a "
            f"{network}. Set network.type=recurrent and neuron=lif, or another learning.rule."
        )


class NoTracePerSynapse(Refusal):
    """Layers keep no trace a synapse, and no order of a code that has none."""

    def __init__(self, option: str):
        super().__init__(
            f"learning.rule.{option} is true, which e-prop has in a recurrent network alone; for layers set "
            "learning.rule=eprop without it."
        )


class NoOutputWeights(Refusal):
    """Feedback that follows the output weights belongs to the layer that they come from."""

    def __init__(self) -> None:
        super().__init__(
            "Adaptive feedback follows the output weights, which belong to one hidden layer alone; set "
            "learning.rule.feedback=symmetric or random."
        )


class NoReadouts(Refusal):
    """A local error is that of a readout of the layer's own."""

    def __init__(self, network: str):
        super().__init__(
            f"DECOLLE needs layers of trace-lif neurons with a readout each; this network is a {network}. Set "
            "network.type=local and neuron=trace-lif, or another learning.rule."
        )


class NoWinners(Refusal):
    """Without a teacher neurons learn different things only if they inhibit each other."""

    def __init__(self, rule: str, network: str):
        super().__init__(
            f"{rule} needs a winner-take-all layer of neurons that fire, which {network} is not: set "
            "network=competitive and neuron=alif, or another learning.rule."
        )


class NoStepError(Refusal):
    """An online rule needs an error at every step."""

    def __init__(self, objective: str):
        super().__init__(
            "e-prop needs an error at every step, as of cross-entropy, windowed or squared-error; "
            f"learning.objective is a {objective}."
        )


class OneTrial(Refusal):
    """What is updated step by step, or by one winner, sees one trial at a time."""

    def __init__(self, batch: int, who: str, instead: str):
        super().__init__(f"training.batch is {batch}; {who} one trial at a time: {instead}.")


class NoLoss(Refusal):
    """A rule that descends a gradient needs a loss."""

    def __init__(self, objective: str):
        super().__init__(f"The objective '{objective}' has no loss to descend; it is for rules without a teacher.")


class NoClasses(Refusal):
    """An objective that follows a target tells no classes."""

    def __init__(self, objective: str):
        super().__init__(f"The objective '{objective}' follows a target and knows no classes; use cross-entropy.")


class OnlyNumbers(Refusal):
    """Targets that are numbers are followed; they are no classes."""

    def __init__(self, data: str, experiment: str):
        super().__init__(
            f"The data set '{data}' wants numbers at every frame; {experiment} tells classes: use eprop-regression "
            "or regressor."
        )


class NoNumbers(Refusal):
    """Numbers are followed frame by frame, by outputs that are compared with them at every step."""

    def __init__(self, what: str, given: str, needed: str):
        super().__init__(f"{what} is {given}; a regression needs {needed}.")


class NotPlainDescent(Refusal):
    """Outer products that no gradient is made of can be scaled, and nothing else."""

    def __init__(self, optimizer: str):
        super().__init__(
            f"learning.optimizer is '{optimizer}'; learning.rule=decolle-outer, which keeps no gradient, needs sgd."
        )


class OnlyAfterTrials(Refusal):
    """A gradient of a whole trial is known after it."""

    def __init__(self) -> None:
        super().__init__("Weights can be written within a trial by decolle alone; set training.update_every=none.")


class ReadOnce(Refusal):
    """A winner is decided on one read of the weights."""

    def __init__(self, parts: int):
        super().__init__(
            f"simulation.parts is {parts}; plasticity reads conductances once a presentation: set it to 1."
        )


class OtherNeurons(Refusal):
    """Each kind of network needs of its neurons what it passes on."""

    def __init__(self, where: str, neuron: str, wanted: str):
        super().__init__(f"{where}.neuron is a {neuron}; this kind of network needs {wanted}.")


class NoNames(Refusal):
    """A memory that completes patterns tells no classes."""

    def __init__(self) -> None:
        super().__init__("An associative network completes patterns and tells no classes; set another network.")


class Analog(Refusal):
    """A loop of analog currents has no moment at which a converter could sample."""

    def __init__(self) -> None:
        super().__init__("An Associative network is analog throughout; its crossbar takes no converters.")


class NothingAges(Refusal):
    """A device without drift is as it was."""

    def __init__(self) -> None:
        super().__init__(
            "evaluation.age needs devices that age; set synapse.device, e.g. synapse.device=pcm-joshi, and a "
            "learning.scheme that writes devices."
        )


# what is said where a part of another kind is named: class that is wanted → (key, name, class that was named, what is
# wanted in words) → the error
MISFITS: dict[type, Callable[[str, str, Any, str], InputError]] = {}
