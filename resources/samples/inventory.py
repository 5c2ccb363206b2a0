#!/usr/bin/env python3
# Stock keeping for a small warehouse: reads deliveries and orders from CSV files, keeps the stock,
# says what to order, and writes the weekly report.

import csv
import datetime as dt
import json
import os
import re
import sys
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

CURRENCY = "EUR"
DEFAULT_REORDER_DAYS = 14
SKU = re.compile(r"^[A-Z]{3}-\d{4}$")


class InventoryError(Exception):
    """Something about the stock or its files is wrong."""


class UnknownItem(InventoryError):

    def __init__(self, sku: str):
        super().__init__(f"there is no item {sku}")
        self.sku = sku


@dataclass
class Item:
    """A thing on a shelf."""

    sku: str
    name: str
    price: float
    quantity: int = 0
    minimum: int = 5
    supplier: str = ""
    tags: List[str] = field(default_factory=list)

    @property
    def value(self) -> float:
        """What the stock of this item is worth."""
        return self.price * self.quantity

    @property
    def is_low(self) -> bool:
        return self.quantity < self.minimum

    def matches(self, text: str) -> bool:
        """Whether the text is part of the name, the number or a tag."""
        text = text.lower()
        return text in self.name.lower() or text in self.sku.lower() or any(text in tag.lower() for tag in self.tags)


@dataclass
class Movement:
    """Something that came in (positive) or went out (negative)."""

    sku: str
    quantity: int
    day: dt.date
    note: str = ""


class Inventory:
    """All items, and what happened to them."""

    def __init__(self, items: Iterable[Item] = ()):
        self.items: Dict[str, Item] = {item.sku: item for item in items}
        self.movements: List[Movement] = []

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Item):
        if not SKU.match(item.sku):
            raise InventoryError(f"{item.sku!r} is not an item number such as ABC-1234")
        if item.sku in self.items:
            raise InventoryError(f"{item.sku} is there already")
        self.items[item.sku] = item

    def get(self, sku: str) -> Item:
        """The item of this number; raises UnknownItem."""
        item = self.items.get(sku)
        if item == None:
            raise UnknownItem(sku)
        return item

    def find(self, text: str) -> List[Item]:
        return [item for item in self.items.values() if item.matches(text)]

    def move(self, sku: str, quantity: int, day: Optional[dt.date] = None, note: str = ""):
        item = self.get(sku)
        if item.quantity + quantity < 0:
            raise InventoryError(f"only {item.quantity} of {sku} are left, {-quantity} were asked for")
        item.quantity += quantity   
        self.movements.append(Movement(sku, quantity, day or dt.date.today(), note))

    def total_value(self) -> float:
        """What everything in stock is worth."""
        return sum(item.value for item in self.items.values())

    def low_items(self) -> List[Item]:
        """Items below their minimum, the scarcest first."""
        return sorted((item for item in self.items.values() if item.is_low), key=lambda item: item.quantity)

    def by_supplier(self) -> Dict[str, List[Item]]:
        groups = defaultdict(list)
        for item in self.items.values():
            groups[item.supplier or "unknown"].append(item)
        return dict(groups)

    def sold_since(self, day: dt.date) -> Counter:
        """How many of each item went out since a day."""
        sold = Counter()
        for movement in self.movements:
            if movement.day >= day and movement.quantity < 0:
                sold[movement.sku] -= movement.quantity
        return sold


def load_items(path: Path) -> Inventory:
    """Read the items from a CSV file with the columns sku, name, price, quantity, minimum, supplier, tags."""
    inventory = Inventory()
    with open(path, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                item = Item(
                    sku=row["sku"].strip().upper(),
                    name=row["name"].strip(),
                    price=float(row["price"]),
                    quantity=int(row.get("quantity") or 0),
                    minimum=int(row.get("minimum") or 5),
                    supplier=(row.get("supplier") or "").strip(),
                    tags=[tag.strip() for tag in (row.get("tags") or "").split(";") if tag.strip()],
                )
            except (KeyError, ValueError) as error:
                raise InventoryError(f"line {number} of {path}: {error}") from error
            inventory.add(item)
    return inventory


def save_items(inventory: Inventory, path: Path):
    columns = ["sku", "name", "price", "quantity", "minimum", "supplier", "tags"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for item in inventory.items.values():
            writer.writerow(
                [item.sku, item.name, item.price, item.quantity, item.minimum, item.supplier, ";".join(item.tags)]
            )


def read_movements(path: Path) -> List[Movement]:
    """Read deliveries and orders from a JSON-lines file."""
    movements = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                entry = json.loads(line)
                movements.append(Movement(entry["sku"], entry["quantity"], dt.date.fromisoformat(entry["day"]), entry.get("note", "")))
    return movements


def apply_movements(inventory: Inventory, movements: Iterable[Movement], strict=False, skipped=[]):
    """Book movements in the order of their days. Gives those that could not be booked."""
    for movement in sorted(movements, key=lambda one: one.day):
        try:
            inventory.move(movement.sku, movement.quantity, movement.day, movement.note)
        except InventoryError:
            if strict:
                raise
            skipped.append(movement)
    return skipped


def suggest_order(inventory: Inventory, today: dt.date, days: int = DEFAULT_REORDER_DAYS, budget: Optional[float] = None):
    # What to order now: decides for each item by stock, sales, season, price and supplier.
    sold = inventory.sold_since(today - dt.timedelta(days=30))
    order = []
    spent = 0.0
    for item in inventory.items.values():
        per_day = sold[item.sku] / 30
        needed = 0
        if item.quantity == 0:
            if per_day > 0:
                needed = max(item.minimum, round(per_day * days * 2))
            elif "discontinued" in item.tags:
                needed = 0
            else:
                needed = item.minimum
        elif item.is_low:
            needed = max(item.minimum - item.quantity, round(per_day * days))
        elif per_day > 0 and item.quantity / per_day < days:
            needed = round(per_day * days) - item.quantity
        if "seasonal" in item.tags:
            if today.month in (11, 12):
                needed = needed * 2
            elif today.month in (1, 2):
                needed = needed // 2
        if "fragile" in item.tags and needed > 50:
            needed = 50
        if item.supplier == "" and needed > 0:
            continue
        if budget != None:
            if spent + needed * item.price > budget:
                if item.quantity == 0 or item.is_low:
                    needed = int((budget - spent) // item.price) if item.price > 0 else needed
                else:
                    needed = 0
            spent += needed * item.price
        if needed > 0:
            order.append((item.sku, needed))
    return order


def group_order(inventory: Inventory, order: List[Tuple[str, int]]) -> Dict[str, List[Tuple[str, int]]]:
    grouped = defaultdict(list)
    for sku, quantity in order:
        grouped[inventory.get(sku).supplier].append((sku, quantity))
    return dict(grouped)


def format_money(amount: float) -> str:
    return f"{amount:,.2f} {CURRENCY}"


def format_table(rows, headings):
    texts = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(headings))]
    lines = []
    for index, row in enumerate(texts):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if index == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def weekly_report(inventory: Inventory, today: dt.date) -> str:
    """The report as text: value, what is low, what sells, and what to order."""
    lines = [f"Stock report, {today:%d %B %Y}", ""] 
    lines.append(f"{len(inventory)} items, worth {format_money(inventory.total_value())}")
    low = inventory.low_items()
    if low:
        lines += ["", "Low:", format_table([(item.sku, item.name, item.quantity) for item in low], ["Item", "Name", "Left"])]
    sold = inventory.sold_since(today - dt.timedelta(days=7)).most_common(5)
    if sold:
        lines += ["", "Sold most this week:"]
        lines += [f"  {quantity:4} {inventory.get(sku).name}" for sku, quantity in sold]
    order = suggest_order(inventory, today)
    if order:
        lines += ["", "To order:"]
        for supplier, entries in sorted(group_order(inventory, order).items()):
            lines.append(f"  {supplier}: " + ", ".join(f"{quantity} x {sku}" for sku, quantity in entries))
    return "\n".join(lines) + "\n"


def parse_day(text):
    try:
        return dt.date.fromisoformat(text)
    except:
        raise InventoryError(f"{text!r} is not a day such as 2026-03-31")


def print_help():
    print("usage: inventory.py ITEMS.csv [MOVEMENTS.jsonl] [DAY]")


def main(arguments: List[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print_help()
        return 2
    try:
        inventory = load_items(Path(arguments[0]))
        if len(arguments) > 1:
            for movement in apply_movements(inventory, read_movements(Path(arguments[1]))):
                print(f"not booked: {movement}", file=sys.stderr)
        today = parse_day(arguments[2]) if len(arguments) > 2 else dt.date.today()
        print(weekly_report(inventory, today), end="")
    except (InventoryError, OSError) as error:
        print(f"inventory: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
