from engine.shelf import Shelf


def kept(shelf, keys):
    return "".join(key for key in keys if shelf.get(key) is not None)


def test_the_oldest_go_when_it_gets_too_narrow():
    shelf = Shelf(30)
    for key in "abc":
        shelf.put(key, object(), 10)
    assert kept(shelf, "abc") == "abc"
    shelf.put("d", object(), 11)
    assert kept(shelf, "abcd") == "cd"


def test_the_newest_stays_however_large_it_is():
    shelf = Shelf(30)
    shelf.put("a", object(), 1)
    shelf.put("b", object(), 1_000)
    assert kept(shelf, "ab") == "b"
    shelf.put("c", object(), 1)
    assert kept(shelf, "bc") == "c"


def test_what_is_put_again_is_the_newest_and_takes_no_room_twice():
    shelf = Shelf(30)
    for key in "abca":
        shelf.put(key, object(), 10)
    shelf.put("d", object(), 10)
    assert kept(shelf, "abcd") == "acd"


def test_what_is_dropped_leaves_its_room():
    shelf = Shelf(30)
    for key in "abc":
        shelf.put(key, object(), 10)
    shelf.drop("b")
    shelf.drop("b")
    shelf.put("d", object(), 10)
    assert kept(shelf, "abcd") == "acd"
