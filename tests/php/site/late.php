<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

$api = Voxgate\Shim\ApiResponder::start();
$api->jsonSuccess(1);
throw new RuntimeException('hunter2');
