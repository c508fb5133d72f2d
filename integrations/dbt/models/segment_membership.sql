-- Who was in which segment when: join a fact to it with `at >= valid_from and (at < valid_to or valid_to is null)`.
select
    account,
    segment,
    valid_from,
    valid_to,
    is_current,
    definition_version,
    cause,
    play
from {{ source('resegment', 'account_segment_history') }}
where segment <> 'none'
