"""Default-deny for money holds for transfers too: a far end calls somebody at the account's cost."""

from __future__ import annotations

from pathlib import Path

from sealwire.communications.accounting.port import DestinationNotAllowed
from sealwire.communications.control.port import CallControl
from sealwire.communications.prompts import sound
from sealwire.vocabulary import Party
from tests.telephony_house import ACCOUNT, FAR, GREETING, picks_up, two_houses


async def test_a_far_end_is_not_told_to_call_where_the_account_may_not(tmp_path: Path):
    told: list[str] = []

    async def hands_over(call: CallControl) -> int:
        try:
            await call.primary.transfer(Party("+449098790000"))
        except DestinationNotAllowed as refused:
            told.append(refused.code())
        await call.primary.play(sound("tone"))  # and the call goes on
        return 7

    async with two_houses(tmp_path, hands_over, picks_up) as (here, _):
        here.purse.forbidden = "+449"
        await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        run = await here.keeper.next_run()
    assert (told, run.return_code, here.purse.open) == (["destination-not-allowed"], 7, 0)
