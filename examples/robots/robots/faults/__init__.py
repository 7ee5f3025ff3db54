"""The faults by name; each is one small module. What is no fault comes last."""

from robots.faults import (
    clean,
    config_operation,
    cpu_hog,
    disk_full,
    expired_credential,
    forge_cache,
    forge_field,
    health_check,
    load_test,
    lock_contention,
    memory_leak,
    no_op_deploy,
    pool_exhausted,
    renamed_field,
    retry_storm,
    slow_flag,
    slow_third_party,
    stuck_consumer,
    table_permission,
    tenant_surge,
    two_faults,
    wrong_deploy,
)
from robots.scene import Fault

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        forge_field.FAULT,
        forge_cache.FAULT,
        cpu_hog.FAULT,
        disk_full.FAULT,
        retry_storm.FAULT,
        two_faults.FAULT,
        wrong_deploy.FAULT,
        renamed_field.FAULT,
        health_check.FAULT,
        slow_flag.FAULT,
        config_operation.FAULT,
        memory_leak.FAULT,
        table_permission.FAULT,
        lock_contention.FAULT,
        stuck_consumer.FAULT,
        slow_third_party.FAULT,
        expired_credential.FAULT,
        tenant_surge.FAULT,
        pool_exhausted.FAULT,
        load_test.FAULT,
        no_op_deploy.FAULT,
        clean.FAULT,
    )
}
DEFAULT = forge_field.FAULT.name
