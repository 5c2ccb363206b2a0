"""What a workflow is: a graph of nodes and edges, as the user defines it and as it is stored.

All three classes are immutable values; an edit makes a new graph (``model_copy(update=...)``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticKnownError

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
ResourceName = Annotated[str, StringConstraints(max_length=64, pattern=r"^\w[\w.:/-]*$")]
EdgeKind = Literal["success", "error"]
Isolation = Literal["auto", "thread", "process"]
Durability = Literal["strict", "relaxed"]
"""``strict``: no step starts before what it depends on is committed. ``relaxed``: commits may come a moment later."""
Reducer = Literal["replace", "append", "extend", "add", "merge", "min", "max"]

ELSE = "else"
"""The condition that holds when no expression condition of the same source and kind did."""

RESULT_PORT = "result"
"""The output port every tool has: its whole result."""


@lru_cache(1_024)
def _shared(names: frozenset[str]) -> set[str]:
    return set(names)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def model_post_init(self, _: Any, /) -> None:
        """Values that were given the same fields share the set of their names: it is a third of a graph's memory."""
        given = frozenset(self.__pydantic_fields_set__)
        object.__setattr__(self, "__pydantic_fields_set__", _shared(given))


def _is_number(value: Any) -> Any:
    """Neither a text nor true or false is taken for a number, as pydantic would by itself."""
    if isinstance(value, str | bool):
        raise PydanticKnownError("float_type")
    return value


def _is_whole(value: Any) -> Any:
    if isinstance(value, str | bool):
        raise PydanticKnownError("int_type")
    return value


TokenCount = Annotated[int, BeforeValidator(_is_whole), Field(ge=1, le=1_000_000)]


class RetryPolicy(_Value):
    """How a failed step is tried again. Waiting for the next attempt holds no thread and survives a restart."""

    max_attempts: int = Field(
        default=3, ge=1, le=1_000, description="Attempts of one step, the first included."
    )
    delay_s: float = Field(default=1.0, ge=0, le=86_400, description="Before the second attempt.")
    backoff: float = Field(default=2.0, ge=1, le=100, description="Each further delay is this much longer.")
    max_delay_s: float = Field(default=300.0, ge=0, le=86_400)
    jitter: float = Field(default=0.1, ge=0, le=1, description="The share of a delay that varies at random.")
    on: tuple[Name, ...] = Field(default=(), description="Names of exceptions; left out: any failure.")

    _whole = field_validator("max_attempts", mode="before")(_is_whole)
    _numbers = field_validator("delay_s", "backoff", "max_delay_s", "jitter", mode="before")(_is_number)


class CachePolicy(_Value):
    """A successful result is kept, and used again for the same tool and arguments instead of running the step."""

    ttl_s: float | None = Field(
        default=None,
        gt=0,
        le=3_153_600_000,
        description="A result older than this is not used; left out: any.",
    )

    _number = field_validator("ttl_s", mode="before")(_is_number)


class NodeDefinition(_Value):
    """A tool placed in a graph."""

    id: Name = Field(description="Unique in the graph; conditions name it as steps.<id>.")
    function_name: Name = Field(description="The registered tool.")
    label: str | None = Field(default=None, max_length=200, description="Shown in place of the id.")
    description: str = Field(default="", max_length=10_000)
    parameters: dict[str, Any] = Field(default_factory=dict, description="Literal values, by parameter.")
    bindings: dict[str, Expression] = Field(default_factory=dict, description="Expressions, by parameter.")
    save_as: Name | None = Field(default=None, description="A state key that also receives the result.")
    join: Literal["all", "any"] | Annotated[int, Field(ge=1, le=10_000, strict=True)] = Field(
        default="all",
        description="all: when every incoming edge is resolved; any, or n: at the n-th taken edge.",
    )
    on_error: Literal["fail", "continue"] = Field(
        default="fail", description="What a failure without error edges does: end the run, or go on."
    )
    for_each: Expression | None = Field(
        default=None, description="An expression that gives a list: the tool is called once an item."
    )
    max_parallel: int | None = Field(
        default=None, ge=1, le=10_000, description="Items under way at once; left out: 64."
    )
    on_item_error: Literal["fail", "collect"] = Field(
        default="fail",
        description='fail: the step fails; collect: the item\'s result is {"error", "error_type"}.',
    )
    on_restart: Literal["rerun", "fail", "ask"] | None = Field(
        default=None,
        description="What becomes of a step that a crash interrupted; left out: as the tool's effects say.",
    )
    retry: RetryPolicy | None = Field(default=None, description="Left out: a failed step is not tried again.")
    default_result: Any = Field(
        default=None, description='The result after a failure with on_error "continue".'
    )
    isolation: Isolation = Field(
        default="auto",
        description="process: can be stopped, and its crash is only the step's; auto: there if it should be.",
    )
    timeout_s: float | None = Field(
        default=None, gt=0, le=31_536_000, description="A try of the step that takes longer has failed."
    )
    resources: dict[ResourceName, TokenCount] = Field(
        default_factory=dict,
        description="How many tokens of each resource a try of the step takes; it waits until it can have all of them.",
    )
    cache: CachePolicy | None = Field(
        default=None, description="Use results again that the tool gave for the same arguments."
    )

    _whole = field_validator("max_parallel", mode="before")(_is_whole)
    _number = field_validator("timeout_s", mode="before")(_is_number)


class EdgeDefinition(_Value):
    """An order between two nodes; with ports, also a data wire."""

    from_node: Name
    to_node: Name
    condition: Expression | None = Field(default=None, description='An expression, "else", or none: always.')
    kind: EdgeKind = Field(
        default="success", description="success: after the step; error: after its failure."
    )
    from_port: Name | None = Field(
        default=None, description="Output port of the source; result where left out."
    )
    to_port: Name | None = Field(
        default=None, description="Parameter of the target that is handed the value."
    )

    @property
    def is_wire(self) -> bool:
        """Whether the edge hands a value over."""
        return self.to_port is not None

    @property
    def key(self) -> tuple[str, str, str, str | None, str | None]:
        """What tells the edge from every other edge of a valid graph."""
        return (self.from_node, self.to_node, self.kind, self.from_port, self.to_port)

    def describe(self) -> str:
        """The edge in words, for messages: ``a -> b`` or ``a.result -> b.text``."""
        if not self.is_wire:
            return f"{self.from_node} -> {self.to_node}"
        return f"{self.from_node}.{self.from_port or RESULT_PORT} -> {self.to_node}.{self.to_port}"


class GraphDefinition(_Value):
    """A workflow: nodes, edges, where it starts and when it ends."""

    name: Name
    description: str = Field(default="", max_length=10_000)
    nodes: tuple[NodeDefinition, ...] = ()
    edges: tuple[EdgeDefinition, ...] = ()
    entry_point: Name | None = Field(default=None, description="Left out: every node without incoming edges.")
    exit_conditions: tuple[Expression, ...] = Field(
        default=(), description="The run is completed as soon as one of these holds after a step."
    )
    reducers: dict[str, Reducer] = Field(
        default_factory=dict, description="How results of parallel steps for one state key combine."
    )
    max_steps: int = Field(default=100_000, ge=1, le=10_000_000)
    max_iterations: int = Field(default=10_000, ge=1, le=10_000_000)
    ui: dict[str, Any] = Field(
        default_factory=dict, description="The canvas layout; nothing in a run depends on it."
    )

    _whole = field_validator("max_steps", "max_iterations", mode="before")(_is_whole)

    def find_node(self, node_id: str) -> NodeDefinition | None:
        """The node with this id, or None."""
        return next((node for node in self.nodes if node.id == node_id), None)
