-- Each segment's counts, numerators and denominators apart: `resegment metrics` has intervals and tests.
select
    segment,
    arm,
    count(*) as touches,
    sum(is_sent) as sent,
    sum(is_replied) as replied,
    sum(is_positively_replied) as positively_replied,
    sum(is_met) as met,
    sum(is_opportunity) as opportunities,
    sum(is_won) as won,
    sum(is_lost) as lost,
    sum(won_usd) as won_usd
from {{ ref('touch_outcome') }}
group by segment, arm
