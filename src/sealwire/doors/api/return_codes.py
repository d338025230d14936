"""What each return code of an application record means, in a sentence."""

from __future__ import annotations

from sealwire.vocabulary import ReturnCode

_SENTENCES = {
    ReturnCode.DONE: "The application came to its end and said nothing else.",
    ReturnCode.NOT_AN_INTEGER: "The application returned something that is not a whole number.",
    ReturnCode.ENDED_BEFORE_START: "The caller hung up before the application was started.",
    ReturnCode.APPLICATION_MISSING: "No connected program has registered this application, or there is no service.",
    ReturnCode.APPLICATION_INVALID: "The application cannot be run as it is configured; look at the service.",
    ReturnCode.RESERVED_CODE_RETURNED: "The application returned a code from -99 to -1, which are the service's own.",
    ReturnCode.WRONG_DIRECTION: "The service does not take calls of this direction.",
    ReturnCode.APPLICATION_FAILED: "The application raised an error.",
    ReturnCode.PROGRAM_LOST: "The connection to the program was lost in mid-call; the call was ended.",
    ReturnCode.PROGRAM_SILENT: "The program did not say in time what to do.",
    ReturnCode.PAGE_UNREACHABLE: "The page could not be connected to.",
    ReturnCode.PAGE_TOO_SLOW: "The page did not answer in time.",
    ReturnCode.PAGE_TOO_LARGE: "The page's answer is larger than is taken.",
    ReturnCode.PAGE_MALFORMED: "The page's answer is not a list of actions in JSON.",
    ReturnCode.PAGE_ADDRESS_REFUSED: "The page's address is not one that may be reached from here.",
    ReturnCode.PAGE_STATUS: "The page answered with a status other than 200.",
    ReturnCode.TOO_MANY_ACTIONS: "The pages asked for more actions or pages than one call may take.",
    ReturnCode.CALL_TOO_LONG: "The call reached the longest time of its service and was ended.",
    ReturnCode.SPEND_CAP_REACHED: "The account's spend cap was reached; the call was not started, or ended.",
    ReturnCode.DESTINATION_NOT_ALLOWED: "The account may not call this destination.",
    ReturnCode.TOO_MANY_CALLS: "The account had as many calls up as it may have.",
    ReturnCode.CANCELLED: "The outbound call was cancelled before it was answered.",
    ReturnCode.BUSY: "The called party was busy.",
    ReturnCode.NO_ANSWER: "Nobody answered in time.",
    ReturnCode.REJECTED: "The called party, or the network before it, rejected the call.",
    ReturnCode.NUMBER_UNKNOWN: "The called number does not exist.",
    ReturnCode.NO_ROUTE: "No trunk carries calls to this number.",
    ReturnCode.RECORDING_REFUSED: "Nothing could be recorded: no valid key to seal to, or it could not be kept.",
    ReturnCode.CONSENT_REFUSED: "The caller did not agree to be recorded.",
    ReturnCode.SERVICE_RESTARTED: "The switchboard stopped in mid-call.",
    ReturnCode.ENGINE_FAILED: "The telephony engine failed in mid-call.",
}


def sentence_of(code: ReturnCode) -> str:
    """The meaning of one code; every code has one."""
    return _SENTENCES[code]
