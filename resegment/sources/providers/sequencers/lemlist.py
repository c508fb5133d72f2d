"""Lemlist: webhooks about activities and the states of leads, and the list of activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.fields import choice, field, listed
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.splitting import Pair, ignored, split_by, unknown
from resegment.sources.normalizers.auto_replies import is_auto_reply
from resegment.sources.providers.sequencers.outcomes import outcome, read_label

ACTIVITIES: Final = {
    "contacted": "sent",
    "hooked": "opened",
    "attracted": "clicked",
    "warmed": "replied",
    "interested": "positive_reply",
    "emailsSent": "sent",
    "emailsOpened": "opened",
    "emailsClicked": "clicked",
    "emailsReplied": "replied",
    "emailsBounced": "bounced",
    "emailsUnsubscribed": "unsubscribed",
    "emailsInterested": "positive_reply",
    "linkedinSent": "sent",
    "linkedinInviteDone": "sent",
    "linkedinVoiceNoteDone": "sent",
    "linkedinOpened": "opened",
    "linkedinReplied": "replied",
    "linkedinInterested": "positive_reply",
    "whatsappMessageSent": "sent",
    "whatsappMessageOpened": "opened",
    "whatsappReplied": "replied",
    "smsSent": "sent",
    "smsReplied": "replied",
    "aircallInterested": "positive_reply",
    "apiInterested": "positive_reply",
    "manualInterested": "positive_reply",
    "meetingBooked": "meeting_booked",
}
"""What the types of activities mean."""
_WORDS: Final = {normalize_term(name): action for name, action in ACTIVITIES.items()}
_CHANNELS: Final = (
    ("emails", "email"),
    ("linkedin", "linkedin"),
    ("whatsapp", "whatsapp"),
    ("sms", "sms"),
    ("aircall", "phone"),
    ("call", "phone"),
)
_NO_ANSWER: Final = "says nothing of the account"
_IGNORED: Final = {
    **dict.fromkeys(
        (
            "notInterested",
            "emailsNotInterested",
            "linkedinNotInterested",
            "aircallNotInterested",
            "apiNotInterested",
            "manualNotInterested",
        ),
        "no outcome; the reply itself is an activity of its own",
    ),
    **dict.fromkeys(
        (
            "emailsFailed",
            "emailsSendFailed",
            "linkedinSendFailed",
            "linkedinVisitFailed",
            "linkedinFollowFailed",
            "linkedinInviteFailed",
            "linkedinEndorseFailed",
            "linkedinVoiceNoteFailed",
            "linkedinLikeLastPostFailed",
            "linkedinWithdrawInvitationFailed",
            "whatsappMessageFailed",
            "smsFailed",
            "apiFailed",
        ),
        "nothing was sent",
    ),
    **dict.fromkeys(
        (
            "linkedinVisitDone",
            "linkedinFollowDone",
            "linkedinFollowSkipped",
            "linkedinEndorseDone",
            "linkedinEndorseSkipped",
            "linkedinLikeLastPostDone",
            "linkedinLikeLastPostNoPost",
            "linkedinWithdrawInvitationDone",
            "linkedinInviteAccepted",
            "linkedinDone",
            "whatsappMessageDelivered",
            "smsDelivered",
            "aircallCreated",
            "aircallEnded",
            "aircallDone",
            "callRecordingDone",
            "callTranscriptDone",
            "apiDone",
            "manualDone",
            "emailsDone",
            "annotated",
            "opportunitiesDone",
            "snoozed",
        ),
        "neither a message nor an answer",
    ),
    **dict.fromkeys(
        (
            "paused",
            "resumed",
            "stopped",
            "skipped",
            "campaignComplete",
            "customDomainErrors",
            "connectionIssue",
            "sendLimitReached",
            "lemwarmPaused",
            "enrichmentDone",
            "enrichmentError",
            "signalRegistered",
            "deliverabilityAlertTriggered",
        ),
        _NO_ANSWER,
    ),
}
_IGNORED_TERMS: Final = {normalize_term(name): why for name, why in _IGNORED.items()}
_PERSON: Final = listed("leadEmail, lead.email, email, linkedinUrl, leadLinkedinUrl, leadPhone")
_LABEL: Final = listed("label.name, labelName, label, newLabel, labels")


def _refine(record: Record, data: dict[str, Any]) -> None:
    kind = normalize_term(record.find_text("type") or "")
    if kind == "inboxlabelupdated":
        data["action"] = read_label(record.find_text(*_LABEL))
    channel = next((one for prefix, one in _CHANNELS if kind.startswith(prefix)), None)
    if channel is not None:
        data["channel"] = channel
    if data.get("action") == "replied" and is_auto_reply(record, ("subject", "replySubject")):
        data["action"] = "auto_replied"


ACTIVITY: Final = outcome(
    "activity of a lead",
    record="activity",
    key=("_id|id|emailId|leadId|leadEmail", "type", "@time"),
    person=_PERSON,
    subject=listed(
        "leadEmail, lead.email, email, leadCompanyDomain, companyDomain, leadCompanyWebsite, companyWebsite"
    ),
    known_as=listed("leadCompanyName, companyName, lead.companyName"),
    time=listed("createdAt, date, timestamp"),
    action=choice(_WORDS, "type"),
    channel=None,
    more={
        "sequence": field("text", "campaignId"),
        "sequence_name": field("text", "campaignName"),
        "step": field("number", "sequenceStep"),
        "reason": field("text", "bounceReason", "errorMessage"),
        "url": field("text", "linkUrl", "url"),
    },
    refine=_refine,
    ignored=listed(
        "teamId, sequenceId, stepId, leadId, leadFirstName, leadLastName, sendUserId, sendUserEmail, sendUserName, subject, "
        "secret, isFirst, emailId, emailTemplateId, emailTemplateName, listId, text, html, bot, totalStep, sequenceTested, "
        "stepTested, metaData, contactId"
    ),
)


def _choose(one: Mapping[str, Any], _: Context) -> Iterator[Pair | Item]:
    record = Record(one)
    kind = record.find_text("type")
    term = normalize_term(kind or "")
    if term == "inboxlabelupdated":
        if read_label(record.find_text(*_LABEL)) is None:
            yield ignored("inboxLabelUpdated", "a label that means no outcome", "label")
            return
        yield ACTIVITY, one
    elif term in _WORDS:
        yield ACTIVITY, one
    elif term in _IGNORED_TERMS:
        yield ignored(kind or "", _IGNORED_TERMS[term], "type")
    else:
        yield unknown(kind, "type")


ADAPTER: Final = Adapter(
    name="lemlist",
    title="lemlist",
    reads="webhooks, and the list of activities of the interface",
    tables=(ACTIVITY,),
    split=split_by(_choose, "activities"),
    ignored=_IGNORED,
    notes="The states of a lead (`contacted`, `hooked`, `attracted`, `warmed`, `interested`) gather several activities: subscribe either to the "
    "states or to the activities, so that nothing counts twice. Give the lead a variable `resegment_key`, and it comes back as "
    "`idempotency_key` where lemlist sends the variables.",
)
