-- One row a touch, with what came of it within the window. Outcomes that no touch has are not here.
with credited as (
    select
        t.touch,
        o.action,
        o.happened_at,
        o.amount_usd,
        o.deal
    from {{ source('resegment', 'fct_touch') }} as t
    inner join {{ source('resegment', 'outcome') }} as o
        on
            o.touch = t.touch
            and not o.is_retracted
            and o.happened_at < t.touched_at + interval '1 day' * {{ var('resegment_outcome_window_days') }}
)

select
    t.touch,
    t.account,
    t.touched_at,
    t.segment,
    t.play,
    t.owner,
    t.workflow,
    t.channel,
    t.definition_version,
    t.arm,
    t.experiment,
    t.variant,
    max(case when c.action = 'sent' then 1 else 0 end) as is_sent,
    max(case when c.action in ('replied', 'positive_reply') then 1 else 0 end) as is_replied,
    max(case when c.action = 'positive_reply' then 1 else 0 end) as is_positively_replied,
    max(case when c.action in ('meeting_booked', 'meeting_held') then 1 else 0 end) as is_met,
    max(case when c.action = 'opportunity_created' then 1 else 0 end) as is_opportunity,
    max(case when c.action = 'won' then 1 else 0 end) as is_won,
    max(case when c.action = 'lost' then 1 else 0 end) as is_lost,
    sum(case when c.action = 'won' then c.amount_usd end) as won_usd
from {{ source('resegment', 'fct_touch') }} as t
left join credited as c on t.touch = c.touch
where not t.is_void
group by
    t.touch,
    t.account,
    t.touched_at,
    t.segment,
    t.play,
    t.owner,
    t.workflow,
    t.channel,
    t.definition_version,
    t.arm,
    t.experiment,
    t.variant
