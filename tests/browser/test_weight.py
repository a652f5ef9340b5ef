"""No page is heavy: what the network transfers for it, the first time and after that."""

from bench.pages import MAX_COLD_KB, MAX_WARM_KB, time_requests, weigh
from tests.browser.examples import OWN, PAGES
from webapp.people.access import ACCESS


def test_every_page_is_light_and_its_files_stay_in_the_browser(chromium, desk, role_states, stored):
    heavy = []
    for endpoint in PAGES.keys() & ACCESS.keys():
        role = OWN.get(endpoint) or min(ACCESS[endpoint])
        context = chromium.new_context(storage_state=role_states[role])
        page, address = context.new_page(), desk.url + stored.fill(PAGES[endpoint][0])
        cold, warm = weigh(page, address), weigh(page, address)
        context.close()
        assert cold > warm > 0
        if cold > MAX_COLD_KB or warm > MAX_WARM_KB:
            heavy.append((endpoint, cold, warm))
    assert heavy == []


def test_requests_are_timed_on_one_connection(desk, role_states):
    took = time_requests(f"{desk.url}/applications/new", role_states["clerk"], 3)
    assert len(took) == 3
    assert all(milliseconds > 0 for milliseconds in took)
