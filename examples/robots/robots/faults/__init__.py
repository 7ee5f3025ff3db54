"""The faults by name; each is one small module."""

from robots.faults import (
    clean,
    cpu_hog,
    disk_full,
    expired_credential,
    forge_cache,
    forge_field,
    load_test,
    no_op_deploy,
    pool_exhausted,
    retry_storm,
    slow_third_party,
    tenant_surge,
)
from robots.scene import Fault

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        forge_field.FAULT,
        forge_cache.FAULT,
        slow_third_party.FAULT,
        expired_credential.FAULT,
        tenant_surge.FAULT,
        pool_exhausted.FAULT,
        cpu_hog.FAULT,
        disk_full.FAULT,
        retry_storm.FAULT,
        load_test.FAULT,
        no_op_deploy.FAULT,
        clean.FAULT,
    )
}
DEFAULT = forge_field.FAULT.name
